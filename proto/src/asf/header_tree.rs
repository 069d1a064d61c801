// SPDX-License-Identifier: MPL-2.0

use bytes::Bytes;

use super::file_header::{DATA_HEAD, FileHeader, HEADER_HEAD};
use super::guid::Guid;
use super::object::{Object, ObjectHead, put, u32_at, walk};

/// Size of the Header Extension's head in bytes
const EXTENSION_HEAD: usize = 24 /* object head */ + 16 /* reserved */ + 2 /* reserved */ + 4 /* data size */;
/// Offset of the Header Extension Data Size, in bytes
const EXTENSION_DATA_SIZE: usize = 42;
/// Offset of an object's size, in bytes
const OBJECT_SIZE: usize = 16;
/// Offset of the Header Object's Number of Header Objects, in bytes
const CHILD_COUNT: usize = 24;

/// A [`FileHeader`] split into its objects for editing
///
/// Without an edit, [`HeaderTree::write`] returns the original bytes, except that it corrects the child count.
pub(super) struct HeaderTree {
    head: Bytes,
    children: Vec<Node>,
    data_head: Bytes,
}

/// An object that was removed from a file header because the header was too large
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShedObject {
    /// The object's name in the ASF specification
    pub name: &'static str,
    /// Size of the object in bytes
    pub bytes: usize,
}

/// One object of the header
struct Node {
    guid: Guid,
    /// The whole object; only the head for a Header Extension with `children`
    bytes: Bytes,
    /// The objects in a Header Extension that could be parsed
    children: Option<Vec<Node>>,
}

impl HeaderTree {
    /// Splits `header` into its objects, which stay slices of it.
    pub fn of(header: &FileHeader) -> HeaderTree {
        let bytes = header.as_bytes();
        let end = header.header_object_size();
        HeaderTree {
            head: bytes.slice(..HEADER_HEAD),
            children: walk(bytes.slice(HEADER_HEAD..end), HEADER_HEAD)
                .map_while(Result::ok)
                .map(Node::of)
                .collect(),
            data_head: bytes.slice(end..),
        }
    }

    /// Returns the current size of the file header in bytes.
    pub fn len(&self) -> usize {
        let children = self.children.iter().map(Node::len);
        children.fold(HEADER_HEAD.saturating_add(DATA_HEAD), usize::saturating_add)
    }

    /// Returns the bytes of the first direct child with this GUID.
    pub fn get(&self, guid: Guid) -> Option<&Bytes> {
        self.children
            .iter()
            .find(|node| node.guid == guid)
            .map(|node| &node.bytes)
    }

    /// Returns the bytes of all objects with this GUID, in the Header Object and then in its Header Extension.
    pub fn objects(&self, guid: Guid) -> impl Iterator<Item = &Bytes> {
        let inner = self.children.iter().flat_map(|node| &node.children);
        let all = self.children.iter().chain(inner.flatten());
        all.filter(move |node| node.guid == guid)
            .map(|node| &node.bytes)
    }

    /// Adds an object as the last child of the Header Object.
    pub fn push(&mut self, guid: Guid, bytes: Bytes) {
        self.children.push(Node {
            guid,
            bytes,
            children: None,
        });
    }

    /// Edits the bytes of the first direct child with this GUID in place. Their length stays.
    pub fn edit(&mut self, guid: Guid, change: impl FnOnce(&mut [u8])) {
        if let Some(node) = self.children.iter_mut().find(|node| node.guid == guid) {
            let mut bytes = node.bytes.to_vec();
            change(&mut bytes);
            node.bytes = bytes.into();
        }
    }

    /// Returns the head of the Data Object.
    pub fn data_head(&self) -> &[u8] {
        &self.data_head
    }

    /// Edits the head of the Data Object in place.
    pub fn edit_data_head(&mut self, change: impl FnOnce(&mut [u8])) {
        let mut bytes = self.data_head.to_vec();
        change(&mut bytes);
        self.data_head = bytes.into();
    }

    /// Replaces the bytes of each direct child with this GUID by the result of `change`, unless that is `None`.
    pub fn replace(&mut self, guid: Guid, mut change: impl FnMut(&Bytes) -> Option<Bytes>) {
        for node in self.children.iter_mut().filter(|node| node.guid == guid) {
            if let Some(bytes) = change(&node.bytes) {
                node.bytes = bytes;
            }
        }
    }

    /// Truncates or removes objects with this GUID to make the header smaller: by exactly `bytes` if one object is large
    /// enough, else by at least `bytes`. Returns whether the objects had `bytes` together.
    pub fn shrink(&mut self, guid: Guid, bytes: usize) -> bool {
        let largest = self.objects(guid).map(Bytes::len).max().unwrap_or(0);
        let all = self.objects(guid).map(Bytes::len);
        if all.fold(0, usize::saturating_add) < bytes {
            return false;
        }
        let size = largest.saturating_sub(bytes);
        if size < ObjectHead::LEN {
            self.remove_down_to(guid, self.len().saturating_sub(bytes));
            return true;
        }
        if let Some(node) = self.node_mut(guid, largest) {
            let mut kept = node.bytes.slice(..size).to_vec();
            put(&mut kept, OBJECT_SIZE, &(size as u64).to_le_bytes());
            node.bytes = kept.into();
        }
        true
    }

    /// Returns the first object with this GUID and size, in the Header Object or in its Header Extension.
    fn node_mut(&mut self, guid: Guid, size: usize) -> Option<&mut Node> {
        let is_it = |node: &Node| node.guid == guid && node.bytes.len() == size;
        for node in &mut self.children {
            if is_it(node) {
                return Some(node);
            }
            let mut inner = node.children.iter_mut().flatten();
            if let Some(node) = inner.find(|node| is_it(node)) {
                return Some(node);
            }
        }
        None
    }

    /// Removes all objects with this GUID from the Header Object and its Header Extension. Returns the removed objects.
    pub fn remove(&mut self, guid: Guid) -> Vec<ShedObject> {
        self.remove_from_size(guid, 0)
    }

    /// Removes objects with this GUID, the largest first, until the file header has at most `limit` bytes.
    pub fn remove_down_to(&mut self, guid: Guid, limit: usize) -> Vec<ShedObject> {
        let mut sizes: Vec<_> = self.objects(guid).map(|object| object.len()).collect();
        sizes.sort_unstable_by(|one, other| other.cmp(one));
        let excess = self.len().saturating_sub(limit);
        let mut removed = 0usize;
        let smallest = sizes.into_iter().take_while(|&size| {
            let needed = removed < excess;
            removed = removed.saturating_add(size);
            needed
        });
        match smallest.last() {
            Some(size) => self.remove_from_size(guid, size),
            None => Vec::new(),
        }
    }

    /// Removes the objects with this GUID that have at least `size` bytes.
    fn remove_from_size(&mut self, guid: Guid, size: usize) -> Vec<ShedObject> {
        let mut shed = Vec::new();
        remove_from(&mut self.children, guid, size, &mut shed);
        let opened = self.children.iter_mut();
        for children in opened.filter_map(|node| node.children.as_mut()) {
            remove_from(children, guid, size, &mut shed);
        }
        shed
    }

    /// Returns the file header with correct sizes and a correct child count.
    pub fn write(&self) -> Bytes {
        let len = self.len();
        let mut bytes = Vec::with_capacity(len);
        bytes.extend_from_slice(&self.head);
        put(
            &mut bytes,
            OBJECT_SIZE,
            &(len.saturating_sub(DATA_HEAD) as u64).to_le_bytes(),
        );
        put(
            &mut bytes,
            CHILD_COUNT,
            &u32::try_from(self.children.len())
                .unwrap_or(u32::MAX)
                .to_le_bytes(),
        );
        self.children
            .iter()
            .for_each(|child| child.write(&mut bytes));
        bytes.extend_from_slice(&self.data_head);
        bytes.into()
    }

    /// Parses the result of [`HeaderTree::write`]; `original` is the fallback.
    pub fn finish(&self, original: &FileHeader) -> FileHeader {
        let bytes = self.write();
        if bytes == original.as_bytes() {
            return original.clone();
        }
        // INVARIANT: edits keep a header valid, so the fallback is never used.
        let header = FileHeader::parse(bytes);
        debug_assert!(header.is_ok(), "{header:?}");
        header.unwrap_or_else(|_| original.clone())
    }
}

impl Node {
    fn of(object: Object) -> Node {
        let Object {
            guid,
            offset,
            bytes,
        } = object;
        match extension_children(guid, offset, &bytes) {
            Some(children) => Node {
                guid,
                bytes: bytes.slice(..EXTENSION_HEAD),
                children: Some(children),
            },
            None => Node {
                guid,
                bytes,
                children: None,
            },
        }
    }

    fn len(&self) -> usize {
        let children = self.children.iter().flatten().map(Node::len);
        children.fold(self.bytes.len(), usize::saturating_add)
    }

    fn write(&self, out: &mut Vec<u8>) {
        let Some(children) = &self.children else {
            return out.extend_from_slice(&self.bytes);
        };
        let mut head = self.bytes.to_vec();
        let len = self.len();
        put(&mut head, OBJECT_SIZE, &(len as u64).to_le_bytes());
        let data_size = u32::try_from(len.saturating_sub(EXTENSION_HEAD)).unwrap_or(u32::MAX);
        put(&mut head, EXTENSION_DATA_SIZE, &data_size.to_le_bytes());
        out.append(&mut head);
        children.iter().for_each(|child| child.write(out));
    }
}

/// ASF 3.4 Header Extension Object: returns its children if both of its sizes and all its objects are consistent
fn extension_children(guid: Guid, offset: usize, bytes: &Bytes) -> Option<Vec<Node>> {
    let room = bytes.len().checked_sub(EXTENSION_HEAD)?;
    if guid != Guid::HEADER_EXTENSION
        || u32_at(bytes, EXTENSION_DATA_SIZE) != u32::try_from(room).ok()
    {
        return None;
    }
    let objects = walk(
        bytes.slice(EXTENSION_HEAD..),
        offset.saturating_add(EXTENSION_HEAD),
    );
    let node = |object: Object| Node {
        guid: object.guid,
        bytes: object.bytes,
        children: None,
    };
    objects.map(|object| object.ok().map(node)).collect()
}

fn remove_from(nodes: &mut Vec<Node>, guid: Guid, size: usize, shed: &mut Vec<ShedObject>) {
    for node in nodes.extract_if(.., |node| node.guid == guid && node.len() >= size) {
        shed.push(ShedObject {
            name: guid.name().unwrap_or("object"),
            bytes: node.len(),
        });
    }
}
