"""Upload of a model folder to the Hugging Face hub."""

from pathlib import Path

from physio_mae_jax.errors import ConfigError, UserError


def upload(folder: Path, name: str) -> str:
    """Upload the files of a folder.

    Args:
        folder: Model folder.
        name: 'owner/name' of the repository, created if absent. The account is that of
            ``huggingface_hub``'s own login.

    Returns:
        Address of the upload.

    Raises:
        UserError: huggingface_hub is not installed, or the hub rejects the upload.
    """
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise ConfigError(
            f"--upload={name} needs huggingface_hub; install it with pip install huggingface_hub."
        ) from error
    try:
        hub = HfApi()
        hub.create_repo(name, exist_ok=True)
        return str(hub.upload_folder(repo_id=name, folder_path=folder))
    except Exception as error:  # huggingface_hub and its dependencies raise many types
        raise UserError(
            f"the upload to {name} failed ({type(error).__name__}: {str(error)[:300]}); the folder "
            f"{folder} is complete. Log in with 'hf auth login', and run the same command again."
        ) from error
