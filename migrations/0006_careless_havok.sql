CREATE TABLE `pushed_images` (
	`appId` text NOT NULL,
	`type` text NOT NULL,
	`image` text NOT NULL,
	`createdAt` integer NOT NULL,
	PRIMARY KEY(`appId`, `type`),
	FOREIGN KEY (`appId`) REFERENCES `apps`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
ALTER TABLE `slugs` ADD `images` text;