//! A layer goes through all its forms and comes back as it was.

use crate::kit::*;
use layer::*;
use proptest::prelude::*;
use std::os::fd::AsFd;
use std::sync::Arc;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_tar_unpacks_to_the_listing_it_was_written_from((listing, mut texts) in listings()) {
        let folder = tempfile::tempdir().unwrap();
        let archive = tar(&listing, &mut texts);
        let back = unpack_into(folder.path(), &archive).unwrap();
        let told = in_whole_seconds(&listing);
        prop_assert_eq!(show(&back), show(&told));
        prop_assert_eq!(&back, &told);
        // And the folder is that layer too: a scan finds it again, whoever reads it how.
        let folder = open(folder.path());
        for threads in [1, 3] {
            let options = ScanOptions { threads, ..ScanOptions::default() };
            prop_assert_eq!(&scan(folder.as_fd(), &options).unwrap(), &told);
        }
        // The same bytes come out of the folder.
        let own = LayerFiles { folder: Some(Arc::new(folder)), pack: None };
        let mut again = Vec::new();
        write_tar(&listing, &mut StoredContent::new(own, Vec::new()), &mut again).unwrap();
        prop_assert!(again == archive);
    }

    #[test]
    fn the_first_version_of_a_tar_has_all_of_a_time((listing, mut texts) in listings()) {
        let mut archive = Vec::new();
        write_tar_as(1, &listing, &mut texts, &mut archive).unwrap();
        prop_assert_eq!(unpack_into(tempfile::tempdir().unwrap().path(), &archive).unwrap(), listing);
    }

    #[test]
    fn a_plan_becomes_the_folder_it_lists((listing, mut texts) in listings()) {
        let folder = tempfile::tempdir().unwrap();
        let fd = open(folder.path());
        materialize(&listing, &mut texts, fd.as_fd(), &MaterializeOptions::default()).unwrap();
        prop_assert_eq!(scan(fd.as_fd(), &ScanOptions::default()).unwrap(), listing);
    }

    #[test]
    fn a_pack_gives_the_same_tar((listing, mut texts) in listings()) {
        let archive = tar(&listing, &mut texts);
        let mut pack = PackWriter::new(tempfile::tempfile().unwrap());
        let plan = unpack_to_pack(&archive[..], &mut pack, &UnpackOptions::default()).unwrap();
        let own = LayerFiles { folder: None, pack: Some(Arc::new(pack.finish().unwrap())) };
        let mut content = StoredContent::new(own, Vec::new());
        let mut again = Vec::new();
        write_tar(&plan, &mut content, &mut again).unwrap();
        prop_assert!(again == archive);
        let folder = tempfile::tempdir().unwrap();
        let fd = open(folder.path());
        materialize(&plan, &mut content, fd.as_fd(), &MaterializeOptions::default()).unwrap();
        prop_assert_eq!(scan(fd.as_fd(), &ScanOptions::default()).unwrap(), in_whole_seconds(&listing));
    }

    #[test]
    fn what_changed_laid_over_what_was_shows_what_is((before, _) in listings(), (after, _) in listings()) {
        // A whole tree has neither whiteouts nor opaque directories.
        let whole = |listing: Listing| {
            let view = View::new(vec![Arc::new(listing)]);
            let entries = view.below(b"").into_iter().map(|found| {
                let mut entry = found.entry();
                if let Kind::Directory { opaque } = &mut entry.kind {
                    *opaque = false;
                }
                entry
            });
            Listing::new(entries, Vec::new())
        };
        let (before, after) = (whole(before), whole(after));
        let parent = View::new(vec![Arc::new(before.clone())]);
        let changes = compare(&parent, &after);
        let over = View::new(vec![Arc::new(before), Arc::new(changes)]);
        let shown = over.below(b"");
        let bare = |mut entry: Entry<'static>| {
            if let Kind::File { link, .. } = &mut entry.kind {
                *link = 0;
            }
            entry
        };
        let shown: Vec<Entry<'_>> = shown.iter().map(|found| bare(found.entry().into_owned())).collect();
        let wanted: Vec<Entry<'_>> = owned(&after).into_iter().map(bare).collect();
        prop_assert_eq!(shown, wanted);
        prop_assert!(compare(&View::new(vec![Arc::new(after.clone())]), &after).is_empty());
    }
}
