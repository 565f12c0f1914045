"""Config to Graphs: variables, modules, templates, edges. Pure: the same commit gives the same bytes on any machine."""
