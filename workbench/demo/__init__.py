"""What a first start shows: a generated network sequence of which the truth is known."""
