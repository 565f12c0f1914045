"""The pure rules of trust: what an agent accepts, step by step as DESIGN §5 numbers them. No I/O, no clock, no cryptography."""
