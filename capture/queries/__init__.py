"""Views over the archive as .sql files: a new view is a new file, nothing else."""
