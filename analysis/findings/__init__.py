"""The findings of the masked-training paper, compared with trainings of your own."""
