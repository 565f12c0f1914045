"""The service: hears of pull requests, plans them, keeps one comment true, counts approvals, releases merges, collects reports."""
