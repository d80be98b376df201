"""The audit: what a rule's updates really read."""

from onchip.audit.audit import audit

__all__ = ["audit"]
