"""The bundle: the one contract between export and edge."""
