"""One file per kind: its Spec, how it is observed, compared, changed and undone. Machine side: stdlib, Python 3.9 and later."""
