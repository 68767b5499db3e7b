"""Records that nobody changes unseen: chained lines in files, and who saw which record."""
