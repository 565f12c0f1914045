"""Every named bound in one place (CONVENTIONS 16): sizes in bytes, times in seconds."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """Bounds of reading, unpacking, retrying and looping; pass another instance in tests only."""

    document_bytes: int = 5 * MIB
    document_nodes: int = 200_000
    document_depth: int = 64
    alias_nodes: int = 200_000
    source_bytes: int = 100 * MIB
    source_files: int = 100_000
    compile_seconds: int = 20
    compile_hosts: int = 1000
    compile_growth: int = 10
    compile_wall_seconds: int = 600
    compile_memory: int = 1024 * MIB
    cached_source_bytes: int = 32 * MIB
    cached_entry_bytes: int = 16 * MIB
    cached_bytes: int = 128 * MIB
    cached_entries: int = 64
    template_bytes: int = 10 * MIB
    cue_seconds: int = 30
    cue_wall_seconds: int = 300
    cue_output: int = 50 * MIB
    manifest_bytes: int = 4 * MIB
    release_bytes: int = 512 * MIB
    release_files: int = 200_000
    blob_bytes: int = 100 * MIB
    approval_bytes: int = 32 * MIB
    approvals_bytes: int = 64 * MIB
    signature_bytes: int = 64 * 1024
    signature_files: int = 256
    chain_length: int = 1000
    request_bytes: int = 256 * MIB
    event_bytes: int = 64 * MIB
    command_output: int = 64 * 1024
    command_seconds: int = 300
    provider_bytes: int = 16 * MIB
    provider_line: int = 1 * MIB
    provider_output: int = 16 * MIB
    provider_start_seconds: int = 10
    provider_seconds: int = 300
    provider_values: int = 64
    provider_text: int = 4096
    fact_output: int = 64 * 1024
    fact_text: int = 1024
    fact_seconds: int = 30
    download_bytes: int = 4096 * MIB
    archive_bytes: int = 2048 * MIB
    archive_files: int = 20_000
    archive_header_bytes: int = 1 * MIB
    bounded_memory: int = 256 * MIB
    git_memory: int = 1024 * MIB
    unpack_seconds: int = 3600
    lock_seconds: int = 60
    journal_bytes: int = 1024 * MIB
    image_bytes: int = 256 * MIB
    hashed_bytes: int = 16 * MIB
    banner_bytes: int = 64 * 1024
    push_bytes: int = 256 * MIB
    connect_seconds: int = 30
    hello_seconds: int = 120
    push_seconds: int = 6 * 3600
    webhook_bytes: int = 25 * MIB
    report_bytes: int = 8 * MIB
    report_values: int = 500_000
    host_day_bytes: int = 16 * MIB
    host_day_runs: int = 3_000
    comment_bytes: int = 60_000
    git_seconds: int = 120
    http_seconds: int = 30
    http_bytes: int = 32 * MIB
    retries: int = 8


DEFAULTS = Limits()
