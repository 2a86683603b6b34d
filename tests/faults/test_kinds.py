"""Kinds of fault that use and attack found in earlier versions, and the tests that hold what is right instead.

The tests are named by file and function, and have to be there.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
_CATALOGUE = "faults/test_catalogue.py::test_a_bad_input_is_refused"
KINDS: dict[str, tuple[str, ...]] = {
    "rows joined by a stray quote mark vanish": (
        "tabular/test_reader.py::test_a_quote_that_is_not_closed_on_its_line_is_refused",
        "tabular/test_reader.py::test_no_line_is_lost_whatever_the_text",
        "photos/test_rating.py::test_rows_that_a_stray_quote_mark_joins_are_refused",
        "photos/test_score.py::test_rows_that_a_stray_quote_mark_joins_are_refused",
    ),
    "a board ranks results on other labels or images": (
        "cli/test_store.py::test_board_stale_and_verify_agree_on_what_was_made_before_a_change",
    ),
    "hidden colours below transparent pixels count": (
        "pixels/test_decode.py::test_colours_below_transparent_pixels_do_not_count",
    ),
    "files of a folder are left out without a word": (
        "datasets/readers/test_folder.py::test_what_is_left_out_is_counted",
        "photos/test_listing.py::test_what_a_folder_or_a_pattern_leaves_out_is_counted",
        "photos/test_listing.py::test_a_folder_that_cannot_be_read_is_an_error",
    ),
    "one bad file or broken link stops everything": (
        "cli/test_run_damage.py::test_an_unreadable_image_stops_the_run_or_is_counted",
        "datasets/readers/test_folder.py::test_what_is_left_out_is_counted",
    ),
    "a damaged or misspelt split file gives another split": ("faults/test_flips.py::test_of_a_split_file",),
    "an interval of a handful of images": ("cli/test_evaluate.py::test_a_handful_of_images_has_no_interval",),
    "a CSV file that was written cannot be read back": (
        "tabular/test_reader.py::test_awkward_names_come_back",
        "tabular/test_reader.py::test_any_cells_come_back",
    ),
    "a cell of a board is run as a formula": (
        "tabular/test_reader.py::test_formulas_are_defused_and_numbers_are_not",
        "leaderboard/test_renderers.py::test_awkward_names_are_no_formula_in_csv",
    ),
    "names steer the terminal, or brackets in them are lost": (
        "cli/test_harmless.py::test_names_steer_no_terminal_and_are_printed_whole",
        "cli/test_output.py::test_names_are_printed_as_written",
    ),
    "a terminal that is not UTF-8": (
        "cli/test_harmless.py::test_a_terminal_of_any_encoding_and_width_gets_its_answer",
    ),
    "names of files that are not UTF-8": (
        "cli/test_foreign_names.py::test_it_is_scored",
        "cli/test_foreign_names.py::test_it_is_labelled",
        "cli/test_foreign_names.py::test_it_is_refused_where_its_name_is_written_to_text",
        "cli/test_foreign_names.py::test_a_folder_of_such_a_name_is_refused",
    ),
    "a pickle runs code": (
        "faults/test_pickles.py::test_in_weights_that_the_user_names",
        "faults/test_pickles.py::test_in_every_file_of_a_store",
        "faults/test_pickles.py::test_in_every_file_of_a_model_folder",
        "faults/test_pickles.py::test_in_tables_images_and_registries",
        "faults/test_pickles.py::test_in_checkpoints_and_caches",
    ),
    "a class that a registry file names ends the process, or is run without a word": (
        "cli/test_harmless.py::test_a_class_that_ends_the_process_ends_no_command_with_0",
    ),
    "a weights file that does not exist is ignored": (
        "cli/test_harmless.py::test_a_weights_file_that_is_not_there_is_never_ignored",
    ),
    "a record whose checksum is right and whose content is not": (
        "cli/test_forged_records.py::test_a_forged_field_is_named",
        "cli/test_forged_records.py::test_verify_compares_the_key_and_the_cell_with_what_the_key_is_made_of",
        _CATALOGUE,
    ),
    "an archive that is cut short, or full of links": (
        "datasets/test_archives.py::test_no_archive_that_is_cut_short_is_taken_as_complete",
        "datasets/test_archives.py::test_a_bomb_of_links",
        "datasets/test_archives.py::test_links_are_copied_from_what_is_written",
    ),
    "a command that is stopped says nothing": (
        "faults/test_signals.py::test_while_modules_are_imported",
        "faults/test_signals.py::test_while_a_run_trains_and_the_same_command_resumes",
        "faults/test_signals.py::test_while_the_workers_of_a_sweep_run",
    ),
    "a killed process leaves temporary files and locks": (
        "faults/test_kills.py::test_a_killed_run_leaves_what_the_next_one_can_use",
        "store/test_usage.py::test_temporary_files_and_locks_of_the_dead",
    ),
    "waiting for another process says nothing": (
        "test_files.py::test_waiting_for_a_lock_names_the_process_that_holds_it",
    ),
    "long work without a sign of life": (
        "cli/test_process.py::test_a_silent_command_writes_lines_into_a_file",
        "cli/test_evaluate.py::test_many_rows_are_answered_without_draws_and_announced",
    ),
    "a pipe, a device, a folder or a name too long in place of a file": (_CATALOGUE,),
    "a folder that is not there is taken for an empty one": (_CATALOGUE,),
    "a cache or store that cannot be written": (
        "test_caches.py::test_what_is_known_is_answered_from_a_read_only_cache",
    ),
    "label files as people have them": (
        "tabular/test_reader.py::test_separators_and_encodings_are_recognised",
        "tabular/test_reader.py::test_decimal_commas_are_read_and_logged",
        "tabular/test_reader.py::test_workbooks",
        "tabular/test_reader.py::test_other_formats_are_named_with_the_next_step",
    ),
    "names in a label file that nearly fit": (
        "datasets/readers/test_names.py::test_names_become_relative_to_the_folder",
        "datasets/readers/test_names.py::test_one_file_that_a_name_can_mean",
        "datasets/readers/test_names.py::test_missing_names_are_reported_with_near_ones",
    ),
    "ratings in place of scores": ("datasets/readers/test_names.py::test_scores_from_ratings",),
    "a folder without scores is no dataset": (
        "cli/test_people.py::test_a_folder_in_place_of_a_dataset_is_told_how_it_becomes_one",
        "cli/test_people.py::test_images_without_scores_are_predicted_whatever_their_kind",
    ),
    "a dataset that is too small is trained on": (
        "cli/test_people.py::test_a_test_part_of_one_image_is_refused_before_training",
    ),
    "a large picture is refused without the limit": (
        "cli/test_harmless.py::test_an_image_beyond_the_limit_is_named_with_the_limit_and_the_way_out",
    ),
    "a cache or an image that changed with its size and time kept is used": (
        "cli/test_store.py::test_deep_finds_what_changed_without_another_size_or_time",
        "models/test_weight_cache.py::test_what_has_changed_is_set_aside_and_made_again",
        "models/test_weight_cache.py::test_a_deep_check_names_it",
    ),
    "two runs cannot be compared": (
        "cli/test_compare.py::test_methods_of_a_store_are_compared_over_their_splits",
        "cli/test_compare.py::test_files_are_compared",
    ),
    "stored predictions cannot be evaluated": (
        "cli/test_evaluate.py::test_stored_predictions_are_evaluated_dataset_by_dataset_and_written_beside_the_scores",
    ),
    "a number without a bound": (_CATALOGUE,),
    "numbers whose commas may mean two things": (
        "tabular/test_reader.py::test_commas_that_may_mean_thousands_are_refused",
        "tabular/test_reader.py::test_commas_before_three_digits_are_ambiguous",
    ),
    "a worker of a sweep that is killed takes other runs along, or is not named": (
        "runner/test_engines.py::test_a_worker_that_is_killed_is_said_and_the_same_sweep_goes_on",
        "runner/test_workers.py::test_one_that_is_killed_while_it_waits_costs_no_item",
        "runner/test_workers.py::test_the_fork_server_takes_its_processes_along_and_others_follow",
    ),
    "scores that no source publishes are needed, or ranked": (
        "datasets/readers/test_pipal.py::test_only_what_tests_on_the_validation_set_needs_it",
        "datasets/readers/test_pipal.py::test_no_run_of_the_papers_tables_needs_scores_that_no_download_brings",
        "leaderboard/test_unofficial.py::test_a_row_with_unofficial_labels_has_no_rank_and_is_never_best",
        "leaderboard/test_unofficial.py::test_no_other_table_ranks_or_compares_it_unmarked",
        "leaderboard/test_unofficial.py::test_a_printed_figure_is_not_reproduced_by_it",
    ),
    "a kept log line holds open files": (
        "test_errors.py::test_a_log_line_is_given_the_text_of_an_error_and_not_the_error",
    ),
    "no result by kind of distortion": (
        "runner/test_evaluation.py::test_breakdowns_are_those_of_scipy_and_only_of_columns_that_are_known",
        "leaderboard/test_renderers.py::test_stored_intervals_and_breakdowns_are_shown",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_the_tests_of_a_kind_are_there(kind: str) -> None:
    for name in KINDS[kind]:
        file, _, function = name.partition("::")
        assert re.search(rf"^def {function}\(", (TESTS / file).read_text(encoding="utf-8"), re.MULTILINE), name
