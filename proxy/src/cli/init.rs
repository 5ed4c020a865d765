//! `postern init`: a small commented set of files to start from.

use std::path::Path;
use std::process::ExitCode;

use super::MISCONFIGURED;

pub(super) fn run(dir: &Path) -> ExitCode {
    match write(dir) {
        Ok(files) => {
            for file in files {
                println!("{}", dir.join(file).display());
            }
            println!(
                "\nRead the comments in {0}, then: postern validate --config {0}",
                dir.join("postern.yaml").display()
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("postern: {error}");
            ExitCode::from(MISCONFIGURED)
        }
    }
}

/// Writes the files, and nothing where the folder holds anything already.
fn write(dir: &Path) -> std::io::Result<Vec<&'static str>> {
    std::fs::create_dir_all(dir)?;
    if std::fs::read_dir(dir)?.next().is_some() {
        let message = format!("`{}` is not empty; nothing was written", dir.display());
        return Err(std::io::Error::new(std::io::ErrorKind::AlreadyExists, message));
    }
    let mut written = Vec::new();
    for (path, content) in postern_config::init_files() {
        let target = dir.join(path);
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(target, content)?;
        written.push(*path);
    }
    Ok(written)
}
