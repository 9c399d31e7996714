//! A walk over an ONNX file's protobuf, enough to refuse what is cut off, is no model, or points to other files.
//!
//! Field numbers are those of `onnx.proto` (ONNX 1.x). Nothing is kept; every length is checked against the bytes
//! that are there, so that a truncated or twisted file ends in words before ONNX Runtime parses it.

/// Nested graphs (branches and loops) deeper than this are refused.
const DEEPEST: usize = 32;

/// What is wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAModel {
    /// A length or number runs past the end.
    #[error("is cut off or damaged at byte {0}")]
    CutOff(usize),
    /// There is no graph, or no version.
    #[error("is not an ONNX model")]
    NoGraph,
    /// A tensor's numbers are said to lie in another file.
    #[error("keeps weights in another file (`external_data`); a pack must hold one self-contained file per model")]
    ExternalData,
    /// Graphs inside graphs without end.
    #[error("nests graphs deeper than {DEEPEST}")]
    TooDeep,
}

/// Refuses what ONNX Runtime should not see.
pub fn check(bytes: &[u8]) -> Result<(), NotAModel> {
    let (mut version, mut graph) = (false, false);
    walk(bytes, 0, |field, value| match (field, value) {
        // ModelProto: ir_version = 1, graph = 7, training_info = 20, functions = 25.
        (1, Value::Number(_)) => {
            version = true;
            Ok(())
        }
        (7, Value::Bytes(inner, at)) => {
            graph = true;
            check_graph(inner, at, 0)
        }
        (25, Value::Bytes(inner, at)) => walk(inner, at, |field, value| match (field, value) {
            (7, Value::Bytes(node, at)) => check_node(node, at, 0),
            _ => Ok(()),
        }),
        _ => Ok(()),
    })?;
    if version && graph { Ok(()) } else { Err(NotAModel::NoGraph) }
}

/// GraphProto: node = 1, initializer = 5, sparse_initializer = 15.
fn check_graph(bytes: &[u8], start: usize, depth: usize) -> Result<(), NotAModel> {
    if depth > DEEPEST {
        return Err(NotAModel::TooDeep);
    }
    walk(bytes, start, |field, value| match (field, value) {
        (1, Value::Bytes(node, at)) => check_node(node, at, depth),
        (5, Value::Bytes(tensor, at)) => check_tensor(tensor, at),
        (15, Value::Bytes(sparse, at)) => check_sparse(sparse, at),
        _ => Ok(()),
    })
}

/// NodeProto: attribute = 5. AttributeProto: t = 5, g = 6, tensors = 10, graphs = 11, sparse_tensor = 22, sparse_tensors = 23.
fn check_node(bytes: &[u8], start: usize, depth: usize) -> Result<(), NotAModel> {
    walk(bytes, start, |field, value| match (field, value) {
        (5, Value::Bytes(attribute, at)) => walk(attribute, at, |field, value| match (field, value) {
            (5 | 10, Value::Bytes(tensor, at)) => check_tensor(tensor, at),
            (6 | 11, Value::Bytes(graph, at)) => check_graph(graph, at, depth + 1),
            (22 | 23, Value::Bytes(sparse, at)) => check_sparse(sparse, at),
            _ => Ok(()),
        }),
        _ => Ok(()),
    })
}

/// SparseTensorProto: values = 1, indices = 2.
fn check_sparse(bytes: &[u8], start: usize) -> Result<(), NotAModel> {
    walk(bytes, start, |field, value| match (field, value) {
        (1 | 2, Value::Bytes(tensor, at)) => check_tensor(tensor, at),
        _ => Ok(()),
    })
}

/// TensorProto: external_data = 13, data_location = 14 with 1 for EXTERNAL.
fn check_tensor(bytes: &[u8], start: usize) -> Result<(), NotAModel> {
    walk(bytes, start, |field, value| match (field, value) {
        (13, _) | (14, Value::Number(1)) => Err(NotAModel::ExternalData),
        _ => Ok(()),
    })
}

enum Value<'a> {
    /// A number; 0 for those of fixed width, which are not looked at.
    Number(u64),
    /// A message, string or packed list, and where it begins in the file.
    Bytes(&'a [u8], usize),
}

fn walk<'a>(
    bytes: &'a [u8],
    start: usize,
    mut each: impl FnMut(u64, Value<'a>) -> Result<(), NotAModel>,
) -> Result<(), NotAModel> {
    let mut at = 0;
    while at < bytes.len() {
        let broken = NotAModel::CutOff(start + at);
        let key = varint(bytes, &mut at).ok_or(broken)?;
        let value = match key & 7 {
            0 => varint(bytes, &mut at).map(Value::Number),
            1 => take(bytes, &mut at, 8).map(|_| Value::Number(0)),
            2 => varint(bytes, &mut at).and_then(|length| {
                let begins = start + at;
                take(bytes, &mut at, usize::try_from(length).ok()?).map(|inner| Value::Bytes(inner, begins))
            }),
            5 => take(bytes, &mut at, 4).map(|_| Value::Number(0)),
            _ => None,
        };
        each(key >> 3, value.ok_or(broken)?)?;
    }
    Ok(())
}

fn varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn take<'a>(bytes: &'a [u8], at: &mut usize, length: usize) -> Option<&'a [u8]> {
    let taken = bytes.get(*at..at.checked_add(length)?)?;
    *at += length;
    Some(taken)
}
