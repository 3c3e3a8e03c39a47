"""The composition root: puts the parts of a process together, in order, and takes them apart again."""
