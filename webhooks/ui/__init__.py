"""The built-in web pages: plans, approvals, hosts, releases and runs, rendered on the server; and the API of the local forge."""
