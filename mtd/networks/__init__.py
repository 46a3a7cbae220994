"""The networks, one file each; `mtd.networks.registry` knows them all."""
