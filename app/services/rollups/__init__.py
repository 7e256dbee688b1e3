"""What annotations add up to: head types, agreement, comparison with published labels."""
