"""What carries errors: real numbers or spikes."""
