"""The Gradio pages: they talk to the service over HTTP and to nothing else."""
