"""The running gateway: one supervisor, the control plane and the edge, each a process."""

from gateway.serve.supervisor import serve

__all__ = ["serve"]
