"""Package managers behind one seam: what is installed, what is offered, what would come along, one transaction."""
