//! Tokens of forges, registries, builds and whatever else has to do with code.

use super::format::{Format, random, token};

pub(super) const FORMATS: &[Format] = &[
    token!(
        "GitHub",
        "`ghp_`, `gho_`, `ghu_`, `ghs_` or `ghr_`, 36 or more letters or digits",
        ["ghp_", "gho_", "ghu_", "ghs_", "ghr_"],
        r"\bgh[oprsu]_[A-Za-z0-9]{36,251}\b"
    ),
    token!(
        "GitHub",
        "fine-grained token: `github_pat_`, 22 and 59 letters or digits",
        ["github_pat_"],
        r"\bgithub_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}\b"
    ),
    token!(
        "GitLab",
        "`glpat-`, `gldt-`, `glrt-`, `glptt-`, `glcbt-`, `glft-`, `glimt-`, `glagent-`, `gloas-`, `glsoat-` or `glffct-`, 20 or more characters",
        ["glpat-", "gldt-", "glrt-", "glptt-", "glcbt-"],
        r"\bgl(?:pat|ptt|dt|rt|cbt|ft|imt|agent|oas|soat|ffct)-[0-9A-Za-z_-]{20,128}(?:\.[0-9a-z]{2}\.[0-9a-z]{9})?"
    ),
    token!("GitLab", "runner registration: `GR1348941`, 20 characters", ["GR1348941"], r"\bGR1348941[0-9A-Za-z_-]{20}"),
    token!("Bitbucket", "app password: `ATBB`, 32 letters or digits", ["ATBB"], r"\bATBB[A-Za-z0-9]{32}\b"),
    token!(
        "Atlassian",
        "`ATATT3` or `ATCTT3`, 60 or more characters",
        ["ATATT3", "ATCTT3"],
        r"\bAT[AC]TT3[A-Za-z0-9_-]{60,}(?:=[0-9A-F]{8})?"
    ),
    token!(
        "Sourcegraph",
        "`sgp_`, 40 hexadecimal digits, with or without the instance",
        ["sgp_"],
        r"\bsgp_(?:(?:local|[0-9a-f]{16})_)?[0-9a-f]{40}\b"
    ),
    token!("npm", "`npm_`, 36 letters or digits", ["npm_"], r"\bnpm_[A-Za-z0-9]{36}\b"),
    token!("PyPI", "`pypi-AgE`, base64", ["pypi-AgE"], r"\bpypi-AgE[0-9A-Za-z_-]{50,}"),
    token!("RubyGems", "`rubygems_`, 48 hexadecimal digits", ["rubygems_"], r"\brubygems_[0-9a-f]{48}\b"),
    token!("NuGet", "`oy2`, 43 lower-case letters or digits", ["oy2"], r"\boy2[0-9a-z]{43}\b"),
    token!("crates.io", "`cio`, 32 letters or digits", ["cio"], r"\bcio[0-9A-Za-z]{32}\b"),
    token!("Clojars", "`CLOJARS_`, 60 hexadecimal digits", ["CLOJARS_"], r"\bCLOJARS_[0-9a-f]{60}\b"),
    token!(
        "Docker Hub",
        "`dckr_pat_` or `dckr_oat_`, 27 or more characters",
        ["dckr_pat_", "dckr_oat_"],
        r"\bdckr_[op]at_[0-9A-Za-z_-]{27,}"
    ),
    token!("JFrog Artifactory", "API key: `AKCp`, 60 to 75 letters or digits", ["AKCp"], r"\bAKCp[0-9A-Za-z]{60,75}\b"),
    token!(
        "JFrog Artifactory",
        "reference token: `cmVmd`, 59 letters or digits",
        ["cmVmd"],
        r"\bcmVmd[0-9A-Za-z]{59}\b"
    ),
    token!(
        "CircleCI",
        "`CCIPAT_` or `CCIPRJ_`, id and 40 hexadecimal digits",
        ["CCIPAT_", "CCIPRJ_"],
        r"\bCCIP(?:AT|RJ)_[0-9A-Za-z]{16,30}_[0-9a-f]{40}\b"
    ),
    token!(
        "Buildkite",
        "`bkua_` or `bkaj_`, 40 or more letters or digits",
        ["bkua_", "bkaj_"],
        r"\bbk(?:ua|aj)_[0-9A-Za-z]{40,}\b"
    ),
    token!(
        "Doppler",
        "`dp.`, kind, 40 to 44 letters or digits",
        ["dp.pt.", "dp.st.", "dp.ct.", "dp.sa."],
        r"\bdp\.(?:pt|ct|sa|scim|audit|st(?:\.[a-z0-9_-]{2,35})?)\.[0-9A-Za-z]{40,44}\b"
    ),
    token!(
        "HashiCorp Vault",
        "`hvs.`, `hvb.` or `hvr.`, 24 or more characters",
        ["hvs.", "hvb.", "hvr."],
        r"\bhv[bsr]\.[0-9A-Za-z_-]{24,}"
    ),
    token!(
        "HashiCorp Terraform Cloud",
        "`.atlasv1.` behind 14 letters or digits, 60 to 70 characters",
        [".atlasv1."],
        r"\.atlasv1\.[0-9A-Za-z_=-]{60,70}"
    ),
    token!("Pulumi", "`pul-`, 40 hexadecimal digits", ["pul-"], r"\bpul-[0-9a-f]{40}\b"),
    token!("Prefect", "`pnu_` or `pnb_`, 36 letters or digits", ["pnu_", "pnb_"], r"\bpn[bu]_[0-9A-Za-z]{36}\b"),
    token!(
        "SonarQube",
        "`sqp_`, `squ_` or `sqa_`, 40 hexadecimal digits",
        ["sqp_", "squ_", "sqa_"],
        r"\bsq[apu]_[0-9a-f]{40}\b"
    ),
    token!("Postman", "`PMAK-`, 24 and 34 hexadecimal digits", ["PMAK-"], r"\bPMAK-[0-9a-f]{24}-[0-9a-f]{34}\b"),
    token!("Infracost", "`ico-`, 32 letters or digits", ["ico-"], r"\bico-[0-9A-Za-z]{32}\b", |c| (c.before.last()
        != Some(&b'.'))
    .then(|| random(c))
    .flatten()),
    token!("ReadMe", "`rdme_`, 70 lower-case letters or digits", ["rdme_"], r"\brdme_[0-9a-z]{70}\b"),
    token!("1Password", "service account: `ops_eyJ`, base64", ["ops_eyJ"], r"\bops_eyJ[0-9A-Za-z+/_-]{200,}={0,2}"),
    token!(
        "age",
        "`AGE-SECRET-KEY-1`, 58 capitals or digits",
        ["AGE-SECRET-KEY-1"],
        r"\bAGE-SECRET-KEY-1[0-9A-Z]{58}\b"
    ),
];
