"""The findings of the masked-training paper, checked against trainings of one's own."""
