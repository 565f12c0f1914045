"""Pull requests on a plain bare Git repository: pushed branches `pr/<name>`, merged with real merge commits. No forge is needed."""
