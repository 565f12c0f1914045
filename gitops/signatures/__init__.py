"""Keys and signatures: SSHSIG for commits, DSSE in Sigstore bundles for manifests. Sign and verify, nothing else."""
