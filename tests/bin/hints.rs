// SPDX-License-Identifier: MPL-2.0

//! The pipelines in the hints of `wmspushsink` for input that is not ASF.

use gst::prelude::*;
use gstwmspush::asf::Format;

use super::recording::{decode, play};
use super::rig::{Pipeline, Point};

/// Returns the pipeline of a hint behind its ellipsis, with the bin of the rig.
fn pipeline_of(hint: &str) -> String {
    let (_, pipeline) = hint.split_once("… ! ").unwrap();
    let (pipeline, rest) = pipeline.split_once("location=…").unwrap();
    // The sentence behind the pipeline begins with a capital.
    let branches = rest.split(|one: char| one.is_uppercase()).next().unwrap();
    let name = if pipeline.contains("name=p") {
        ""
    } else {
        "name=p "
    };
    let pipeline = format!("{pipeline}{name}sync=false{branches}");
    pipeline
        .replace("name=p ", "name=bin ")
        .replace("! p.", "! bin.")
}

/// Writes the data of `source` to a file. Returns the hint for it, and a source that reads it.
fn stored(point: &Point, name: &str, source: &str) -> (&'static str, String) {
    let path = point.folder.join(name);
    let writer = format!("{source} ! filesink location={}", path.display());
    let writer = gst::parse::launch(&writer).unwrap();
    play(&writer.downcast().unwrap());
    let hint = Format::of(&std::fs::read(&path).unwrap()).unwrap().hint();
    (hint, format!("filesrc location={}", path.display()))
}

#[test]
fn the_pipeline_of_each_hint_pushes() {
    let files = Point::new("hint-files");
    let film = "matroskamux name=m  videotestsrc num-buffers=30 ! jpegenc ! m. \
                audiotestsrc num-buffers=50 ! avenc_mp2 ! m.  m.";
    let inputs = [
        ("film.mkv", film, (1, 1)),
        ("sound.wav", "audiotestsrc num-buffers=50 ! wavenc", (0, 1)),
    ];
    let mut inputs = inputs
        .map(|(name, source, streams)| {
            let (hint, source) = stored(&files, name, source);
            (name, hint, source, streams)
        })
        .to_vec();
    let raw = "videotestsrc num-buffers=30";
    inputs.push(("raw", Format::RawVideo.hint(), raw.into(), (1, 0)));
    let unmuxed = Format::Unmuxed("Windows Media Video");
    let encoded = format!("{raw} ! avenc_wmv2");
    inputs.push(("unmuxed", unmuxed.hint(), encoded, (1, 0)));
    for (name, hint, source, streams) in inputs {
        let point = Point::new(&format!("hint-{name}"));
        let description = format!("{source} ! {}", pipeline_of(hint));
        let pipeline = Pipeline::new(&point, &description);
        assert_eq!(pipeline.run(), [""; 0], "{description}");
        let (video, audio) = decode(&point.recording());
        assert_eq!((video.len(), audio.len()), streams, "{description}");
    }
}
