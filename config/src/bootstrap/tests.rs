use super::*;
use crate::manifest::load_manifests;

const LEAST: &str = "\
version: 1
gateway: {name: edge}
state: {dir: state}
listeners: [{name: public, bind: \"127.0.0.1:8443\", protocol: https}]
upstreams: [{name: app, url: \"http://127.0.0.1:8080\"}]
routes: [{name: app, match: {pathPrefix: /}, upstream: app, dialect: http}]
manifests: {path: manifests}
";

#[test]
fn the_least_bootstrap_has_its_defaults_and_paths_beside_it() {
    let mut report = Report::new();
    let bootstrap = parse_bootstrap("postern.yaml", LEAST.as_bytes(), Path::new("/etc/postern"), &mut report).unwrap();
    assert_eq!(report.to_string(), "");
    assert_eq!(bootstrap.spec.state.dir.0, Path::new("/etc/postern/state"));
    assert_eq!(bootstrap.spec.manifests.path.0, Path::new("/etc/postern/manifests"));
    assert!(!*bootstrap.spec.manifests.recursive && !*bootstrap.spec.listeners[0].internal);
    assert_eq!(bootstrap.manifest_rules().system_namespace, "default");
    assert!(bootstrap.spec.admin.health.is_none());
}

#[test]
fn a_bootstrap_is_one_document() {
    let mut report = Report::new();
    let text = format!("{LEAST}---\n{LEAST}");
    assert!(parse_bootstrap("postern.yaml", text.as_bytes(), Path::new(""), &mut report).is_some());
    assert_eq!(report.problems()[0].position.line, 9);
}

#[test]
fn a_bootstrap_cut_at_any_byte_does_not_load() {
    for end in 0..LEAST.len() {
        let mut report = Report::new();
        parse_bootstrap("postern.yaml", &LEAST.as_bytes()[..end], Path::new(""), &mut report);
        assert!(report.has_errors(), "cut at {end}");
    }
}

const MANIFEST: &str = "\
apiVersion: secure.platformspec.io/v1alpha1
kind: EncryptionPolicy
metadata: {name: NAME}
spec: {targetRefs: [{kind: Gateway, name: edge}]}
";

#[test]
fn a_folder_is_read_in_order_with_names_relative_to_the_bootstrap() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("postern.yaml", LEAST);
    write("manifests/b.yaml", &MANIFEST.replace("NAME", "b"));
    write(
        "manifests/a.json",
        "{\"apiVersion\": \"secure.platformspec.io/v1alpha1\", \"kind\": \"EncryptionPolicy\", \"metadata\": {\"name\": \"a\"}, \"spec\": {\"targetRefs\": [{\"kind\": \"Gateway\", \"name\": \"edge\"}]}}",
    );
    write("manifests/sub/c.yml", &MANIFEST.replace("NAME", "c"));
    write("manifests/.hidden.yaml", "nonsense");
    write("manifests/notes.txt", "nonsense");
    std::os::unix::fs::symlink(folder.path().join("manifests/b.yaml"), folder.path().join("manifests/.link")).unwrap();

    let mut report = Report::new();
    let bootstrap = load_bootstrap(&folder.path().join("postern.yaml"), &mut report).unwrap();
    let path = &bootstrap.spec.manifests.path.0;
    for (recursive, names) in [(false, vec!["a", "b"]), (true, vec!["a", "b", "c"])] {
        let parsed = load_manifests(path, recursive, &bootstrap.manifest_rules(), &mut report);
        assert_eq!(report.to_string(), "");
        assert!(parsed.whole);
        assert_eq!(parsed.manifests.iter().map(|m| m.id.name.as_str()).collect::<Vec<_>>(), names);
        assert_eq!(&*parsed.manifests[1].file, "manifests/b.yaml");
    }
}

#[test]
fn a_folder_that_cannot_be_read_whole_is_a_problem() {
    let folder = tempfile::tempdir().unwrap();
    let rules = ManifestRules {
        base: folder.path().to_owned(),
        system_namespace: "default".into(),
        end: End::Newline,
        secrets: None,
    };
    let load = |path: &Path| {
        let mut report = Report::new();
        let parsed = load_manifests(path, true, &rules, &mut report);
        (parsed.whole, report.problems().len())
    };
    assert_eq!(load(&folder.path().join("absent")), (false, 1));
    assert_eq!(load(folder.path()), (false, 1), "an empty folder may be what is left of a full one");
    std::os::unix::fs::symlink("/nowhere", folder.path().join("gone.yaml")).unwrap();
    assert!(!load(folder.path()).0, "a link to nothing is a manifest that is missing");
    std::fs::remove_file(folder.path().join("gone.yaml")).unwrap();
    std::os::unix::fs::symlink(folder.path(), folder.path().join("loop")).unwrap();
    assert!(!load(folder.path()).0, "a loop of links ends");
    std::fs::remove_file(folder.path().join("loop")).unwrap();
    std::fs::write(folder.path().join("large.yaml"), vec![b'#'; 2 << 20]).unwrap();
    assert!(!load(folder.path()).0, "a file that is too large is not read in part");
}
