//! Folders that end with the stack. One that was killed cannot clean up after itself, so the next one does: whoever
//! lives holds a lock in the folder.

use std::fs::File;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Once;

use anyhow::{Context, Result};

const PREFIX: &str = "devstack-";

/// Linux's file system in memory.
const MEMORY: &str = "/dev/shm";

/// As much must be free in memory before a database goes there.
const ENOUGH_MEMORY: u64 = 2 << 30;

/// A temporary folder with a lock in it; both go when this is dropped.
#[derive(Debug)]
pub struct Scratch {
    folder: tempfile::TempDir,
    _lock: File,
}

impl Scratch {
    /// A new, empty folder among the temporary files.
    ///
    /// # Errors
    /// When it cannot be made there.
    pub fn new() -> Result<Scratch> {
        Self::below(&std::env::temp_dir())
    }

    /// A new, empty folder in memory where there is room, for a thousand small files that nobody will want back: a
    /// copy of the template takes a tenth of the time there. Otherwise among the temporary files.
    ///
    /// # Errors
    /// When it cannot be made there.
    pub fn in_memory() -> Result<Scratch> {
        let roomy =
            rustix::fs::statvfs(MEMORY).is_ok_and(|memory| memory.f_bavail * memory.f_frsize > ENOUGH_MEMORY);
        if roomy && let Ok(scratch) = Self::below(Path::new(MEMORY)) {
            return Ok(scratch);
        }
        Self::new()
    }

    fn below(parent: &Path) -> Result<Scratch> {
        static SWEPT: Once = Once::new();
        SWEPT.call_once(sweep);
        let folder = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir_in(parent)
            .with_context(|| format!("cannot make a folder in {}", parent.display()))?;
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
    let parents = [std::env::temp_dir(), PathBuf::from(MEMORY)];
    for entry in parents.iter().flat_map(std::fs::read_dir).flatten().flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX)
            && entry.metadata().is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == me);
        if ours && File::open(entry.path().join("lock")).is_ok_and(|lock| lock.try_lock().is_ok()) {
            std::fs::remove_dir_all(entry.path()).ok();
        }
    }
}
