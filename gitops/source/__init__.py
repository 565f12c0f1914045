"""Git: commits and work trees as Snapshots, without a checkout; merge results; mirrors. Nothing from a tree is ever executed."""
