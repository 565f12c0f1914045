"""The spines of the control side: stages called in order, each line one room."""
