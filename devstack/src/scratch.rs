//! Folders that end with the stack. One that was killed cannot clean up after itself, so the next one does: whoever
//! lives holds a lock in the folder.

use std::fs::File;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Once;

use anyhow::{Context, Result};

const PREFIX: &str = "devstack-";

/// A temporary folder with a lock in it; both go when this is dropped.
#[derive(Debug)]
pub struct Scratch {
    folder: tempfile::TempDir,
    _lock: File,
}

impl Scratch {
    /// A new, empty folder.
    ///
    /// # Errors
    /// When the folder for temporary files cannot be written.
    pub fn new() -> Result<Scratch> {
        static SWEPT: Once = Once::new();
        SWEPT.call_once(sweep);
        let folder =
            tempfile::Builder::new().prefix(PREFIX).tempdir().context("cannot make a temporary folder")?;
        // As root, the database's own user must reach its folders inside.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711))?;
        // It gets its name when it is locked: a lock file that can be locked is one that nobody holds any more.
        let unlocked = folder.path().join("lock.new");
        let lock = File::create(&unlocked)?;
        lock.lock()?;
        std::fs::rename(&unlocked, folder.path().join("lock"))?;
        Ok(Scratch { folder, _lock: lock })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Removes what killed stacks left; failing to is no reason to stop.
fn sweep() {
    let me = rustix::process::geteuid().as_raw();
    for entry in std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX)
            && entry.metadata().is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == me);
        if ours && File::open(entry.path().join("lock")).is_ok_and(|lock| lock.try_lock().is_ok()) {
            std::fs::remove_dir_all(entry.path()).ok();
        }
    }
}
