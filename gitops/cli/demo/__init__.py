"""`gitops demo`: the whole loop in a temporary directory, over real Git, real HTTP and real files."""
