"""What training costs in hardware."""
