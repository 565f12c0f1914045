"""The store: tables on SQLite and one module of functions per noun of `webhooks.records`."""
