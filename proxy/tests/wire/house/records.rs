//! The audit log as a test reads it.

use std::path::Path;

use serde_json::Value;

/// Records of requests and connections, in the order they were written.
#[derive(Debug)]
pub struct Records(Vec<Record>, String);

#[derive(Debug, Clone)]
pub struct Record(Value);

impl Records {
    pub fn read(log: &Path) -> Self {
        let mut files: Vec<_> = std::fs::read_dir(log.join("records")).unwrap().map(|e| e.unwrap().path()).collect();
        files.sort();
        let text: String = files.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        Self(lines.map(|line| Record(line["record"].clone())).collect(), text.clone())
    }

    /// The files, byte for byte.
    pub fn text(&self) -> &str {
        &self.1
    }

    /// API Activity.
    pub fn requests(&self) -> Vec<&Record> {
        self.of_class(&[6003])
    }

    /// Network Activity, and handshakes that failed.
    pub fn connections(&self) -> Vec<&Record> {
        self.of_class(&[4001, 3002])
    }

    /// Application Lifecycle.
    pub fn lifecycle(&self) -> Vec<&Record> {
        self.of_class(&[6002])
    }

    /// Entity Management: what happened to secrets beside requests.
    pub fn of_secrets(&self) -> Vec<&Record> {
        self.of_class(&[3004])
    }

    fn of_class(&self, classes: &[u64]) -> Vec<&Record> {
        self.0.iter().filter(|record| classes.contains(&record.0["class_uid"].as_u64().unwrap())).collect()
    }

    /// The record of the only request there was.
    pub fn sole(&self) -> &Record {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "records of requests: {requests:#?}");
        requests[0]
    }

    /// Decision and reason of every request, in the order of the records.
    pub fn outcomes(&self) -> Vec<String> {
        self.requests().into_iter().map(Record::outcome).collect()
    }
}

impl Record {
    fn ours(&self, name: &str) -> &Value {
        &self.0["unmapped"]["postern"][name]
    }

    /// What OCSF has no place for.
    pub fn facts(&self) -> &Value {
        &self.0["unmapped"]["postern"]
    }

    pub fn decision(&self) -> &str {
        self.ours("decision").as_str().unwrap_or_default()
    }

    /// Empty where there was none.
    pub fn reason(&self) -> &str {
        self.ours("reason").as_str().unwrap_or_default()
    }

    pub fn detail(&self) -> &str {
        self.ours("detail").as_str().unwrap_or_default()
    }

    /// `allow`, or `deny: over_limit`.
    pub fn outcome(&self) -> String {
        let decision = self.decision().to_lowercase();
        match self.reason() {
            "" => decision,
            reason => format!("{decision}: {reason}"),
        }
    }

    pub fn status(&self) -> u64 {
        self.0["http_response"]["code"].as_u64().unwrap()
    }

    pub fn path(&self) -> &str {
        self.0["http_request"]["url"]["path"].as_str().unwrap_or_default()
    }

    pub fn route(&self) -> &str {
        self.0["api"]["service"]["name"].as_str().unwrap_or_default()
    }

    pub fn principal(&self) -> &str {
        self.0["actor"]["user"]["uid"].as_str().unwrap_or_default()
    }

    pub fn on_behalf_of(&self) -> &str {
        self.ours("on_behalf_of")["uid"].as_str().unwrap_or_default()
    }

    /// Address and port of the endpoint a request went to.
    pub fn endpoint(&self) -> Option<(String, u64)> {
        let endpoint = &self.0["dst_endpoint"];
        Some((endpoint["ip"].as_str()?.to_owned(), endpoint["port"].as_u64()?))
    }

    /// All that is told of the endpoint.
    pub fn destination(&self) -> &Value {
        &self.0["dst_endpoint"]
    }

    /// Who listened on the Unix socket a request went to.
    pub fn upstream_process(&self) -> &Value {
        self.ours("upstream_process")
    }

    pub fn rule(&self) -> &str {
        self.0["policy"]["name"].as_str().unwrap_or_default()
    }

    pub fn request_guards(&self) -> Vec<String> {
        texts(self.ours("request_guards"))
    }

    pub fn response_guards(&self) -> Vec<String> {
        texts(self.ours("response_guards"))
    }

    /// Names of the credentials that its upstream was shown.
    pub fn credentials(&self) -> Vec<String> {
        texts(self.ours("credentials"))
    }

    /// Names of events that are part of it.
    pub fn events(&self) -> Vec<String> {
        texts(self.ours("events"))
    }

    /// Exceptions it hung on.
    pub fn exceptions(&self) -> Vec<String> {
        texts(self.ours("exceptions"))
    }

    pub fn findings(&self) -> usize {
        self.ours("findings").as_array().map_or(0, Vec::len)
    }

    pub fn streamed(&self) -> bool {
        self.ours("streamed").as_bool().unwrap()
    }

    /// Where the connection came from.
    pub fn source(&self) -> &Value {
        &self.0["src_endpoint"]
    }

    /// Who is behind a Unix socket.
    pub fn process(&self) -> &Value {
        self.ours("process")
    }

    /// Number of the connection, and of the record on it.
    pub fn place(&self) -> (u64, u64) {
        let connection = self.ours("connection");
        (connection["number"].as_u64().unwrap(), connection["sequence"].as_u64().unwrap())
    }
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
}
