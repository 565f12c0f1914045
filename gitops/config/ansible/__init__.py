"""Ansible inventories (INI, YAML, group_vars, host_vars) read as data, and written as Host and Group documents."""
