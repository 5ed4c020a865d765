//! What this binary was not built for. The files say it rightly; another build would take them.

use std::path::Path;
use std::sync::Arc;

use postern_config::{Code, CryptoProfile, Position, Report, Snapshot};

/// A demand that this build cannot meet.
pub(crate) fn check(snapshot: &Snapshot, config: &Path, report: &mut Report) {
    check_profile(snapshot, postern_certs::is_fips(), config, report);
}

fn check_profile(snapshot: &Snapshot, is_fips: bool, config: &Path, report: &mut Report) {
    let listeners =
        snapshot.listeners.iter().filter_map(|listener| Some((&listener.name, listener.tls.as_ref()?.profile)));
    let upstreams =
        snapshot.upstreams.iter().filter_map(|upstream| Some((&upstream.name, upstream.tls.as_ref()?.profile)));
    let demands = |(_, profile): &(&String, CryptoProfile)| *profile == CryptoProfile::Fips && !is_fips;
    let name =
        config.file_name().map_or_else(|| config.display().to_string(), |name| name.to_string_lossy().into_owned());
    let position = Position { file: Arc::from(name), line: 1, column: 1 };
    for (what, name) in listeners
        .filter(demands)
        .map(|(name, _)| ("listener", name))
        .chain(upstreams.filter(demands).map(|(name, _)| ("upstream", name)))
    {
        let message = format!(
            "an EncryptionPolicy demands `profile: Fips` of {what} `{name}`, and this binary has no module that was validated"
        );
        let help = "use a binary that was built with `--features fips` (which needs Go and CMake), or remove the profile; the \
            same algorithms without the module are not what the name promises";
        report.error(Code(7), &position, "", message, help);
    }
}
