"""A software CPS: a chip with files, security state and keys, as strict as the real one."""
