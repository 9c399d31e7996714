//! Stories of installation: a good pack, bad ones, and a power cut after every step (T29 in short form).
//!
//! Seen to fail on a break of one line: the ratchet and the expiry are not asked; the pack is not tried; the link is switched
//! before the state tells of it; a pack that was announced and never switched to counts as one on probation.

use std::cell::Cell;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use minisign::KeyPair;

use super::bundle::{make, signature_of};
use super::trust::key_id;
use super::*;

struct Shop {
    folder: tempfile::TempDir,
    keys: KeyPair,
}

const NOW: &str = "2026-11-22T12:00:00Z";

impl Shop {
    fn new() -> Self {
        let shop =
            Self { folder: tempfile::tempdir().unwrap(), keys: KeyPair::generate_unencrypted_keypair().unwrap() };
        fs::create_dir_all(shop.packs()).unwrap();
        fs::create_dir(shop.folder.path().join("trust")).unwrap();
        let public = shop.keys.pk.to_box().unwrap().into_string();
        fs::write(shop.folder.path().join("trust/a.pub"), public).unwrap();
        shop
    }

    fn packs(&self) -> PathBuf {
        self.folder.path().join("packs")
    }

    fn trust(&self) -> Trust {
        Trust::of(&[self.folder.path().join("trust")]).unwrap()
    }

    /// A bundle of the pack that ships with the program, under another version.
    fn bundle(&self, version: &str, ratchet: u64) -> PathBuf {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/packs/plate-cn");
        let folder = self.folder.path().join(format!("source-{version}"));
        fs::create_dir_all(&folder).unwrap();
        for entry in fs::read_dir(source).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
        }
        let manifest = fs::read_to_string(folder.join("pack.toml")).unwrap();
        let own = super::super::Manifest::parse(&manifest, Path::new("pack.toml")).unwrap().version;
        fs::write(
            folder.join("pack.toml"),
            manifest.replace(&format!("version = \"{own}\""), &format!("version = \"{version}\"")),
        )
        .unwrap();
        let bundle = self.folder.path().join(format!("{version}.tar"));
        make(&folder, &bundle).unwrap();
        self.sign(&bundle, version, ratchet, None);
        bundle
    }

    fn sign(&self, bundle: &Path, version: &str, ratchet: u64, expires: Option<&str>) {
        let expires = expires.map(|at| at.parse().unwrap());
        let key = key_id(self.keys.pk.keynum());
        let label = Label { name: "plate-cn".into(), version: version.into(), ratchet, expires, key };
        let file = File::open(bundle).unwrap();
        let signed = minisign::sign(None, &self.keys.sk, file, Some(&label.comment()), None).unwrap();
        fs::write(signature_of(bundle), signed.into_string()).unwrap();
    }

    fn install(&self, bundle: &Path) -> anyhow::Result<Installed> {
        self.install_until(bundle, &|_| Ok(()))
    }

    fn install_until(&self, bundle: &Path, after: &dyn Fn(Step) -> anyhow::Result<()>) -> anyhow::Result<Installed> {
        let (packs, trust) = (self.packs(), self.trust());
        let now = NOW.parse().unwrap();
        let knowledge = Knowledge { now, trusted: true, floor: now };
        Installer { packs: &packs, trust: &trust, knowledge, try_out: &|_| Ok(()), after }.install(bundle)
    }

    /// The version that the service would load, whole.
    fn in_use(&self) -> Option<String> {
        let folders = PackFolders::only(vec![self.packs()]);
        let pack = open("plate-cn", &folders, &self.packs()).ok()?;
        assert!(pack.files().count() >= 2);
        for file in pack.files() {
            file.read().unwrap();
        }
        Some(pack.manifest.version)
    }
}

#[test]
fn a_signed_pack_is_used_at_once_kept_after_its_probation_and_can_be_rolled_back() {
    let shop = Shop::new();
    let installed = shop.install(&shop.bundle("1.0.0", 1)).unwrap();
    assert_eq!((installed.label.version.as_str(), installed.before), ("1.0.0", None));
    let second = shop.bundle("1.1.0", 2);
    assert_eq!(shop.install(&second).unwrap().before.as_deref(), Some("1.0.0-1"));
    assert_eq!(shop.in_use().as_deref(), Some("1.1.0"));
    assert!(shop.install(&second).unwrap_err().to_string().contains("in use already"));
    state::keep(&shop.packs());
    assert_eq!(State::read(&shop.packs(), "plate-cn").unwrap().unwrap().probation, None);
    assert_eq!(roll_back(&shop.packs(), "plate-cn").unwrap(), "1.0.0-1");
    assert_eq!(shop.in_use().as_deref(), Some("1.0.0"));
    // The ratchet remembers what the box has had.
    let old = shop.bundle("0.9.0", 1);
    assert!(shop.install(&old).unwrap_err().to_string().contains("older than release 2"));
}

#[test]
fn what_is_not_signed_as_it_should_be_is_refused_before_it_is_unpacked() {
    let shop = Shop::new();
    let bundle = shop.bundle("1.0.0", 1);
    let refuse = |word: &str| {
        let reached = Cell::new(Step::Copied);
        let error = shop
            .install_until(&bundle, &|step| {
                reached.set(step);
                Ok(())
            })
            .unwrap_err();
        assert!(format!("{error:#}").contains(word), "{error:#}");
        assert!(reached.get() < Step::Unpacked, "{:?}", reached.get());
        assert_eq!(shop.in_use(), None);
    };
    let good = fs::read(&bundle).unwrap();
    for at in [0, good.len() / 2, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&bundle, bad).unwrap();
        refuse("does not fit");
    }
    fs::write(&bundle, &good[..good.len() / 2]).unwrap();
    refuse("does not fit");
    fs::write(&bundle, &good).unwrap();
    let signature = fs::read_to_string(signature_of(&bundle)).unwrap();
    fs::write(signature_of(&bundle), signature.replace("version=1.0.0", "version=9.0.0")).unwrap();
    refuse("does not fit");
    let stranger = Shop::new();
    stranger.sign(&bundle, "1.0.0", 1, None);
    refuse("does not trust");
    shop.sign(&bundle, "1.0.0", 1, Some("2026-01-01T00:00:00Z"));
    refuse("expired");
    fs::remove_file(signature_of(&bundle)).unwrap();
    refuse("signature");
    shop.sign(&bundle, "1.0.0", 1, Some("2027-01-01T00:00:00Z"));
    shop.install(&bundle).unwrap();
}

#[test]
fn a_clock_that_nobody_set_lets_no_pack_expire_but_what_has_surely_passed_does() {
    let at = |text: &str| text.parse().unwrap();
    let label = Label { name: "a".into(), version: "1".into(), ratchet: 1, expires: Some(at(NOW)), key: "K".into() };
    let ahead = Knowledge { now: at("2038-01-19T03:14:08Z"), trusted: false, floor: at("2026-01-01T00:00:00Z") };
    label.may_follow(&State::default(), ahead).unwrap();
    assert!(label.may_follow(&State::default(), Knowledge { trusted: true, ..ahead }).is_err());
    assert!(label.may_follow(&State::default(), Knowledge { floor: at("2027-01-01T00:00:00Z"), ..ahead }).is_err());
}

#[test]
fn a_power_cut_after_any_step_leaves_a_whole_version_and_the_next_try_succeeds() {
    use Step::{Announced, Copied, Placed, Switched, Tried, Unpacked, Verified};
    for cut in [Copied, Verified, Unpacked, Tried, Placed, Announced, Switched] {
        let shop = Shop::new();
        shop.install(&shop.bundle("1.0.0", 1)).unwrap();
        state::keep(&shop.packs());
        let second = shop.bundle("1.1.0", 2);
        let error = shop.install_until(&second, &|step| if step == cut { Err(anyhow!("cut")) } else { Ok(()) });
        assert_eq!(error.unwrap_err().to_string(), "cut");
        let expected = if cut == Switched { "1.1.0" } else { "1.0.0" };
        assert_eq!(shop.in_use().as_deref(), Some(expected), "{cut:?}");
        // The service starts, finds its way, and the installation is repeated.
        assert_eq!(state::count_start(&shop.packs()), Vec::<String>::new());
        assert_eq!(shop.in_use().as_deref(), Some(expected), "{cut:?}");
        if cut != Switched {
            // What is not in use is on no probation, however often the service starts for other reasons.
            for _ in 0..5 {
                assert_eq!(state::count_start(&shop.packs()), Vec::<String>::new(), "{cut:?}");
            }
            shop.install(&second).unwrap();
        }
        assert_eq!(shop.in_use().as_deref(), Some("1.1.0"), "{cut:?}");
    }
}

#[test]
fn a_pack_that_makes_the_service_fall_is_rolled_back_by_the_fourth_start() {
    let shop = Shop::new();
    shop.install(&shop.bundle("1.0.0", 1)).unwrap();
    state::keep(&shop.packs());
    shop.install(&shop.bundle("1.1.0", 2)).unwrap();
    for _ in 0..3 {
        assert_eq!(state::count_start(&shop.packs()), Vec::<String>::new());
        assert_eq!(shop.in_use().as_deref(), Some("1.1.0"));
    }
    assert_eq!(state::count_start(&shop.packs()), ["plate-cn"]);
    assert_eq!(shop.in_use().as_deref(), Some("1.0.0"));
    assert_eq!(state::count_start(&shop.packs()), Vec::<String>::new());
}

#[test]
fn a_pack_that_fails_its_own_test_or_holds_more_than_plain_files_is_refused() {
    let shop = Shop::new();
    let bundle = shop.bundle("1.0.0", 1);
    let (packs, trust, now) = (shop.packs(), shop.trust(), NOW.parse().unwrap());
    let knowledge = Knowledge { now, trusted: true, floor: now };
    let try_out = |_: &Path| -> anyhow::Result<()> { bail!("the sample differs") };
    let installer = Installer { packs: &packs, trust: &trust, knowledge, try_out: &try_out, after: &|_| Ok(()) };
    assert!(format!("{:#}", installer.install(&bundle).unwrap_err()).contains("the sample differs"));
    assert_eq!(shop.in_use(), None);
    for (name, kind) in
        [("a/b", tar::EntryType::Regular), ("link", tar::EntryType::Symlink), (".hidden", tar::EntryType::Regular)]
    {
        let mut sink = tar::Builder::new(File::create(&bundle).unwrap());
        let mut header = tar::Header::new_ustar();
        header.set_size(0);
        header.set_entry_type(kind);
        header.set_mode(0o644);
        if kind == tar::EntryType::Symlink {
            sink.append_link(&mut header, name, "/etc/passwd").unwrap();
        } else {
            sink.append_data(&mut header, name, std::io::empty()).unwrap();
        }
        sink.into_inner().unwrap().sync_all().unwrap();
        shop.sign(&bundle, "1.0.0", 1, None);
        let words = format!("{:#}", shop.install(&bundle).unwrap_err());
        assert!(words.contains("no plain"), "{words}");
    }
}
