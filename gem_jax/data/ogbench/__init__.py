"""OGBench's single tasks: their rows of the table, their files, their rewards."""
