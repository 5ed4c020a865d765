//! `docs/manifests.md`: the reference that users read, written from the declarations of the specs.

mod tables;
mod text;

use std::collections::BTreeMap;

use crate::bootstrap::bootstrap_shape;
use crate::cases::cases_shape;
use crate::codes::REFUSALS;
use crate::decode::{FieldShape, Shape};
use crate::manifest::{Kind, LATER_KINDS, common_fields, credential_shape, metadata_shape};
use crate::{BUILTIN_DETECTORS, Waiver};

use tables::{Page, flat};

/// The whole page. `config/tests/docs.rs` holds the committed file against it; run that test with `POSTERN_WRITE_DOCS=1`
/// to write the file anew.
#[must_use]
pub fn manifest_reference() -> String {
    let mut page = Page::default();
    page.text(text::INTRODUCTION);
    page.text(text::FILES);
    page.text(text::HOW_TO_READ);

    page.heading(2, "The bootstrap file");
    root(&mut page, &bootstrap_shape());

    page.heading(2, "Around every manifest");
    page.text(text::ENVELOPE);
    page.heading(3, "metadata");
    root(&mut page, &metadata_shape());
    page.heading(3, "Fields of every spec");
    page.text(text::COMMON);
    page.object("spec", &common_fields(Kind::AccessControlPolicy));

    page.heading(2, "The kinds");
    for kind in in_order() {
        one_kind(&mut page, kind);
    }
    later_kinds(&mut page);
    page.heading(2, "Credentials");
    root(&mut page, &credential_shape());
    page.heading(2, "Test cases");
    root(&mut page, &cases_shape());
    words(&mut page);
    types(&mut page);
    detectors(&mut page);
    refusals(&mut page);
    page.text(text::DEPARTURES);
    page.finish()
}

/// Who, may, content, strength, proof: the order of the questions.
fn in_order() -> [Kind; 15] {
    use Kind::{
        AccessControlPolicy, ApiAccessPolicy, AuditPolicy, CertificatePolicy, DataProtectionPolicy,
        DdosProtectionPolicy, EncryptionPolicy, IamPolicy, KeyManagementPolicy, NetworkPolicy, Policy, RbacPolicy,
        RuntimeSecurityPolicy, SecretManagement, WorkloadSecurityPolicy,
    };
    [
        IamPolicy,
        CertificatePolicy,
        ApiAccessPolicy,
        RbacPolicy,
        AccessControlPolicy,
        WorkloadSecurityPolicy,
        NetworkPolicy,
        DataProtectionPolicy,
        RuntimeSecurityPolicy,
        DdosProtectionPolicy,
        EncryptionPolicy,
        SecretManagement,
        KeyManagementPolicy,
        AuditPolicy,
        Policy,
    ]
}

fn root(page: &mut Page, shape: &Shape) {
    if let Shape::Record { doc, fields, .. } = shape {
        page.text(&flat(doc));
        page.object("", fields);
    }
}

fn one_kind(page: &mut Page, kind: Kind) {
    page.heading(3, kind.as_str());
    let Shape::Record { doc, fields, .. } = kind.shape() else { return };
    page.text(&flat(doc));
    let targets: Vec<_> = kind.targets().iter().map(|target| format!("`{target}`")).collect();
    let listener = if kind.attaches_to_listeners() { " (a Gateway's `sectionName` may name one listener)" } else { "" };
    page.text(&match targets.as_slice() {
        [] => "Attaches to nothing: it is process-wide and stands in the system namespace.".to_owned(),
        _ => format!("Attaches to: {}{listener}.", targets.join(", ")),
    });
    page.text(if kind.has_mode() { "It has `mode`." } else { "It has no `mode`." });
    page.object("spec", &fields);
}

fn later_kinds(page: &mut Page) {
    page.heading(3, "Kinds that this version refuses");
    let list: Vec<_> = LATER_KINDS.iter().map(|kind| format!("`{kind}`")).collect();
    page.text(&format!("Not enforced by this version: refused at load, PV-007. {}.", list.join(", ")));
}

/// Enumerations that are too long for a cell of a table.
fn words(page: &mut Page) {
    page.heading(2, "Words");
    for (name, (doc, words, later)) in page.long_words() {
        page.heading(3, &name);
        page.text(&flat(doc));
        page.table(
            &["Word", "Meaning"],
            words.iter().map(|word| vec![format!("`{}`", word.word), flat(word.doc)]).collect(),
        );
        if !later.is_empty() {
            let list: Vec<_> = later.iter().map(|word| format!("`{word}`")).collect();
            page.text(&format!("Not enforced by this version: refused at load, PV-007. {}.", list.join(", ")));
        }
    }
}

fn types(page: &mut Page) {
    page.heading(2, "Types");
    let rows = page.scalars().into_iter().map(|(name, doc)| vec![name, flat(doc)]).collect();
    page.table(&["Type", "Form"], rows);
}

fn detectors(page: &mut Page) {
    page.heading(2, "Built-in detectors");
    page.text("For `detectors[]` of type `Builtin` of a DataProtectionPolicy.");
    let rows = BUILTIN_DETECTORS.iter().map(|(id, finds)| vec![format!("`{id}`"), (*finds).to_owned()]).collect();
    page.table(&["Id", "Finds"], rows);
}

fn refusals(page: &mut Page) {
    page.heading(2, "Refusals by number");
    page.text(text::REFUSALS);
    let rows = REFUSALS
        .iter()
        .map(|refusal| {
            let note =
                refusal.later.map_or_else(String::new, |why| format!(" *(Not reached by this version: {why}.)*"));
            let waivable = Waiver::ALL.iter().any(|waiver| waiver.code().0 == refusal.code);
            let code = format!("PV-{:03}{}", refusal.code, if waivable { " **W**" } else { "" });
            vec![code, format!("{}{note}", flat(refusal.meaning))]
        })
        .collect();
    page.table(&["Code", "Refused"], rows);
}

/// Names of scalar types to their forms.
type Scalars = BTreeMap<String, &'static str>;
/// An object still to be printed: its path and its fields.
type Pending = (String, &'static str, Vec<FieldShape>);
