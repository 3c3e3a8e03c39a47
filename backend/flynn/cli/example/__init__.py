"""What plays the scripted example beside a service: a scripted model, and workers that may be killed."""
