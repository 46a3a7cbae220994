"""The networks, one file each; `mtd.registry` knows them all."""
