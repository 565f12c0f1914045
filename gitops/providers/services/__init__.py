"""Init systems behind one seam: what is there, is it running, does it start at boot, and the verbs."""
