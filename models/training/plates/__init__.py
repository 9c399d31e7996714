"""Generated mainland Chinese plates and scenes, and the labelled real pictures beside them."""
