"""How a request reaches an executor and its events come back: here, on this machine."""
