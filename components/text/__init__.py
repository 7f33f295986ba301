"""Words to vectors: normalising, pre-training, fine-tuning and serving the text encoder."""
