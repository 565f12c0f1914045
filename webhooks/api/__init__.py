"""The API: health, metrics, enrolment, reports, and lists of what the store holds, as JSON."""
